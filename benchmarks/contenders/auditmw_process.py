"""auditmw as by default, but without the sanitizer."""

from auditmw import AuditTrail
from auditmw.middleware import CostCalculator, Hasher, Timer, Writer


def set_up(client, folder, durability="process", pipeline=None):
    layers = pipeline or [Writer(), Hasher(), CostCalculator(), Timer()]
    trail = AuditTrail(f"sqlite:///{folder}/audit.db", pipeline=layers, durability=durability)
    trail.start()
    trail.sync.flush()  # its start, which loads the price table, is no part of a call
    return trail.wrap(client), trail.close
