"""The gate's tests are an example for another project with data and weights of its own: not collected here."""

collect_ignore = ["gate"]
