"""How good a model is, said so that it can be doubted: metrics and payoff with intervals from a bootstrap over days, quality
per slice and period, reversals, reliability, leakage, robustness and importance. Everything here takes plain arrays and
frames of one part of the split and returns the records of `results`; nothing fits a model.
"""

__all__: list[str] = []
