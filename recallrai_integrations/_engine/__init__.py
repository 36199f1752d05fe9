"""Carries flows out: requests, threads, background delivery, what is known of each conversation."""
