"""What runs: one flow a file. Read ``infer``, then ``join_feedback``, ``check_drift``, ``retrain``."""
