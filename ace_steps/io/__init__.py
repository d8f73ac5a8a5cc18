"""Files and code, in and out: Parquet, tensors, atomic files, provenance, digests of code."""
