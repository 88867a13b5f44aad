"""Re-fitting by the user: new heads on the frozen encoder from verdicts, in numpy and onnxruntime alone."""
