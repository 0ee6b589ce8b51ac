"""Adaptation: signals in, actions out: when to retrain, what to roll out, when to roll back."""
