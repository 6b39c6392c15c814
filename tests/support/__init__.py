"""What several tests use. Tools that benchmarks use, too, are in devtools/."""
