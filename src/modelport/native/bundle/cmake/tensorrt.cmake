# TensorRT's engines. Its headers suffice to build, and CUDA's with the static runtime: the library
# is opened when an engine is. TENSORRT_ROOT, or the variable TENSORRT_INCLUDE_DIR of the
# environment, says where they are if they are not installed.
find_package(CUDAToolkit REQUIRED)
find_path(TENSORRT_INCLUDE NvInferRuntime.h
  HINTS ${TENSORRT_ROOT} $ENV{TENSORRT_INCLUDE_DIR} PATH_SUFFIXES include)
if(NOT TENSORRT_INCLUDE)
  message(FATAL_ERROR "TensorRT's headers were not found: install libnvinfer-headers-dev, or set TENSORRT_ROOT")
endif()
target_sources(modelport PRIVATE bundle/src/tensorrt.cpp bundle/src/tensorrt_engine.cpp)
target_compile_definitions(modelport PRIVATE MODELPORT_TENSORRT)
target_include_directories(modelport SYSTEM PRIVATE ${TENSORRT_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS})
set(MODELPORT_CUDART CUDA::cudart_static CACHE STRING "The CUDA runtime to link")
target_link_libraries(modelport PRIVATE ${MODELPORT_CUDART})
