# What a job asks of the machine it runs on. Sizes that depend on the data grow with the inputs, and
# with each attempt after a failure: a profile's `retries` says how many.
#
# The resource `device` (auto, cpu or cuda) is the option of a step that can use a GPU; a profile
# that gives it a GPU (`gpu: 1`) sets `device: cuda` too, so that a job without one fails at once.

import os


def growing_mb(base_mb, per_input):
    """mem_mb: a base, a multiple of the inputs' size, and as much again with each attempt."""

    def mem_mb(wildcards, input, attempt):
        if any(file.is_storage for file in input):
            size_mb = input.size_mb
        else:  # size_mb starts an event loop for each job, a fifth of the time of a large plan
            size_mb = sum(map(os.path.getsize, input)) / 2**20
        return int(attempt * (base_mb + per_input * size_mb))

    return mem_mb


def growing_minutes(base_minutes):
    """runtime in minutes: a base, and as much again with each attempt."""
    return lambda wildcards, attempt: attempt * base_minutes
