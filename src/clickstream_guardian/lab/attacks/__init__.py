"""Attacks as data: a plan file says which and how many, a family function knows how each looks."""
