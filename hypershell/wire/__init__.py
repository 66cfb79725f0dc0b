"""Sends values between processes; the only room that knows multiprocessing.managers and ssl."""
