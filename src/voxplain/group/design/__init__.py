"""What is tested, and what is held constant: the design of a group comparison."""

from voxplain.group.design.design import Design, make_design
from voxplain.group.design.terms import Term, read_terms

__all__ = ["Design", "Term", "make_design", "read_terms"]
