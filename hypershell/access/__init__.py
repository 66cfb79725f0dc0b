"""Decides who may connect, and where: keys, sealed access files, the server directory."""
