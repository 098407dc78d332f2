"""`import kafka` as `brokerless run` gives it: everything here is brokerless."""

from brokerless.standin import fill

fill(__name__, globals())
