"""Models and what they need: bundles, text, features, histories."""
