# The public names of modelport.ops and their signatures; `make public` writes this file.

DATA_DEPENDENT = DataDependent()
