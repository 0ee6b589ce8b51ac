"""Monitoring: signals over time, cheapest first, from raw inputs to outcomes."""
