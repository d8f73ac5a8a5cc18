"""Histories, windows and batches: what training and evaluation both stand on."""
