"""Refinement of item vectors in closed form: ``fit`` a map, ``transform`` with it, keep it."""

from ace_steps.refine.library import fit
from ace_steps.refine.refinement import Refinement

__all__ = ["Refinement", "fit"]
