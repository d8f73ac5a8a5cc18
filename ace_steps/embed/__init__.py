"""Item texts to vectors with a language model: tokens, batches, states, pooling, shards."""
