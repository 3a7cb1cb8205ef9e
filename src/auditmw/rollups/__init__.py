"""Sums over calls that reports read instead of entries: by day and user, by hour and status, by week and size. Pure.

A cell is made by counting calls, and cells are added to cells. A call that is tried again after its earlier attempts
were counted is taken out of its cells and counted anew, so that the cells always equal the entries.
"""
