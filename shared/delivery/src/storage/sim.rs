//! A disk in memory that can crash, tear, flip, refuse and fill up, for simulations and tests.
