"""Where tasks are kept, from the moment they are read until they are final."""
