"""From ranks to metrics, to the chosen points, to a report for people."""
