"""All that others may rely on, as text: Python names, commands, keys of JSON, C and C++."""
