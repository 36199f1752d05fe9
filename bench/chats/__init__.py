"""The ways to give a chat a memory that are compared: one module for each library they are written with."""
