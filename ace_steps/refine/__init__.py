"""Refinement of item vectors in closed form: ``fit`` a map, ``transform`` with it, keep it."""

from ace_steps.refine.ace import fit, fit_grid
from ace_steps.refine.refinement import Refinement

__all__ = ["Refinement", "fit", "fit_grid"]
