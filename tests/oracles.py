"""Independent ways to a gradient, which the tests share."""

import numpy as np


def central_differences(function, variables, size=1e-6):
    """Return the gradient of a function without arguments by variables that it reads.

    Parameters
    ----------
    function : callable
        Returns a number.
    variables : list of tf.Variable
        Of float64; they are moved and put back.

    Returns
    -------
    list of float64 array
    """
    gradients = []
    for variable in variables:
        start = np.array(variable.numpy())
        gradient = np.zeros(start.shape)
        for place in np.ndindex(start.shape):
            ends = []
            for sign in (1, -1):
                moved = np.array(start)
                moved[place] += sign * size
                variable.assign(moved)
                ends.append(float(function()))
            gradient[place] = (ends[0] - ends[1]) / (2 * size)
        variable.assign(start)
        gradients.append(gradient)
    return gradients
