"""Lengths like those of IEMOCAP's utterances."""

import math
from statistics import NormalDist

import numpy as np

SHORTEST, LONGEST = 0.58, 34.1  # seconds
MEDIAN, SPREAD = 3.58, 0.688  # of a log-normal distribution; its 95th percentile is 11.1 s


def seconds_of_utterances(count):
    """Seconds of `count` utterances in a random order that is always the same.

    They are the distribution's quantiles and not draws from it, so that a few utterances have the
    median, the tail and the extremes of many.
    """
    normal = NormalDist(math.log(MEDIAN), SPREAD)
    inner = [math.exp(normal.inv_cdf(i / (count - 1))) for i in range(1, count - 1)]
    seconds = np.clip([SHORTEST, *inner, LONGEST], SHORTEST, LONGEST)
    return np.random.default_rng(1).permutation(seconds)
