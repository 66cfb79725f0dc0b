"""How values travel; the only room that knows multiprocessing.managers and ssl."""
