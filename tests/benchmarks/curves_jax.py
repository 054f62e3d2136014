"""The algorithms that `curves.py` compares, written anew by hand in JAX.

Nothing of the package is used. Each class says what happens in one task: `gradient` in training and
`predict` at test. `Trainer` sums over the tasks of a meta-step and takes the step of the optimizer.

Weights are ``{"weights": [...], "norms": [...]}``: kernels and biases of the four convolutions and
of the last layer in turns, and scales and offsets of BatchNormalization in turns.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

# The net of the paper on MAML.


def to_params(values):
    """Return the weights of the Keras model, in its order, as this module has them."""
    places = [place for layer in range(4) for place in (4 * layer + 2, 4 * layer + 3)]
    return {
        "weights": [jnp.asarray(v) for place, v in enumerate(values) if place not in places],
        "norms": [jnp.asarray(values[place]) for place in places],
    }


def convolve(x, kernel):
    """Convolve with stride 2, as a product of patches and the kernel.

    With "same" padding, as Keras has it, an odd pixel of zeros comes after the image. XLA's own
    convolution takes five times longer on CPUs.
    """
    size = x.shape[1]
    last = 2 * ((size + 1) // 2) - 1
    before, after = divmod(last + 2 - size, 2)
    x = jnp.pad(x, ((0, 0), *2 * ((before, before + after),), (0, 0)))
    patches = [x[:, i : i + last : 2, j : j + last : 2] for i in range(3) for j in range(3)]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def normalise(x, scale, offset):
    """Normalise by the statistics of the batch, with Keras' epsilon."""
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / jnp.sqrt(variance + 1e-3) * scale + offset


def features(params, x):
    weights, norms = params["weights"], params["norms"]
    for layer in range(0, 8, 2):
        x = convolve(x, weights[layer]) + weights[layer + 1]
        x = jax.nn.relu(normalise(x, norms[layer], norms[layer + 1]))
    return x.reshape(len(x), -1)


def logits(params, x):
    return features(params, x) @ params["weights"][8] + params["weights"][9]


def cross_entropy(outputs, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], axis=1).mean()


def loss(params, batch):
    x, y = batch
    return cross_entropy(logits(params, x), y)


def descend(params, gradients, rate):
    return jax.tree.map(lambda p, g: p - rate * g, params, gradients)


# The algorithms. What `start` returns is meta-learned.


class MAML:
    def __init__(self, rate, steps, test_steps, first_order=False):
        self.rate, self.steps, self.test_steps = rate, steps, test_steps
        self.first_order = first_order

    def start(self, params):
        return params

    def adapt(self, learned, support, steps):
        params = learned
        for _ in range(steps):
            gradients = jax.grad(loss)(params, support)
            if self.first_order:
                gradients = jax.lax.stop_gradient(gradients)
            params = descend(params, gradients, self.rate)
        return params

    def gradient(self, learned, support, query, count):
        """Return the query loss after adaptation, and what the optimizer takes for its gradient."""
        return jax.value_and_grad(
            lambda learned: loss(self.adapt(learned, support, self.steps), query)
        )(learned)

    def predict(self, learned, support, x):
        return logits(self.adapt(learned, support, self.test_steps), x)


class MetaSGD(MAML):
    """MAML with a learned rate for every weight."""

    def start(self, params):
        return {
            "params": params,
            "rates": jax.tree.map(lambda p: jnp.full_like(p, self.rate), params),
        }

    def adapt(self, learned, support, steps):
        params = learned["params"]
        for _ in range(steps):
            gradients = jax.grad(loss)(params, support)
            params = jax.tree.map(lambda p, r, g: p - r * g, params, learned["rates"], gradients)
        return params


class MAMLPlusPlus:
    """MAML with rates, scales and offsets for each step, and a loss after each step."""

    def __init__(self, rate, steps, total):
        self.rate, self.steps, self.total = rate, steps, total

    def start(self, params):
        weights, norms = params["weights"], params["norms"]
        return {
            "weights": weights,
            "norms": [jnp.tile(norm, (self.steps, 1)) for norm in norms],
            "rates": [jnp.full(self.steps, self.rate, weight.dtype) for weight in weights],
        }

    def path(self, learned, support, first_order):
        """Return the nets after each step, stacked."""

        def take(weights, of_step):
            rates, norms = of_step
            gradients = jax.grad(lambda w: loss({"weights": w, "norms": norms}, support))(weights)
            if first_order:
                gradients = jax.lax.stop_gradient(gradients)
            weights = [w - r * g for w, r, g in zip(weights, rates, gradients, strict=True)]
            return weights, {"weights": weights, "norms": norms}

        return jax.lax.scan(take, learned["weights"], (learned["rates"], learned["norms"]))[1]

    def objective(self, learned, support, query, count, first_order):
        """Return the weighted losses after each step, and the last one."""
        path = self.path(learned, support, first_order)
        *earlier, last = jax.lax.map(lambda params: loss(params, query), path)
        weight = jnp.maximum(1 - count / (self.total / 10), 0) / self.steps
        return weight * sum(earlier) + (1 - weight * (self.steps - 1)) * last, last

    def gradient(self, learned, support, query, count):
        """Return the last loss and the gradient, in the first third of first order."""

        def of_order(first_order):
            objective = functools.partial(self.objective, first_order=first_order)
            return lambda: jax.grad(objective, has_aux=True)(learned, support, query, count)

        early = 3 * count < self.total
        gradient, last = jax.lax.cond(early, of_order(True), of_order(False))
        return last, gradient

    def predict(self, learned, support, x):
        path = self.path(learned, support, first_order=True)
        return logits(jax.tree.map(lambda stacked: stacked[-1], path), x)


class Reptile:
    """Adam in each task, whose result is moved towards."""

    def __init__(self, rate, steps, test_steps):
        self.rate, self.steps, self.test_steps = rate, steps, test_steps

    def start(self, params):
        return params

    def adapt(self, params, support, steps):
        """Take steps of Adam without a first moment."""

        def take(step, state):
            params, squares = state
            gradients = jax.grad(loss)(params, support)
            squares = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, squares, gradients)
            share = 1 - 0.999 ** (step + 1.0)
            moves = jax.tree.map(lambda g, s: g / jnp.sqrt(s / share + 1e-16), gradients, squares)
            return descend(params, moves, self.rate), squares

        start = params, jax.tree.map(jnp.zeros_like, params)
        return jax.lax.fori_loop(0, steps, take, start)[0]

    def gradient(self, learned, support, query, count):
        adapted = self.adapt(learned, support, self.steps)
        return loss(adapted, query), jax.tree.map(jnp.subtract, learned, adapted)

    def predict(self, learned, support, x):
        return logits(self.adapt(learned, support, self.test_steps), x)


class OfFeatures:
    """Base of those that learn features alone, for a head that a support set gives."""

    def start(self, params):
        return {"weights": params["weights"][:8], "norms": params["norms"]}

    def gradient(self, learned, support, query, count):
        x, y = query
        return jax.value_and_grad(
            lambda learned: cross_entropy(self.predict(learned, support, x), y)
        )(learned)


class ProtoNet(OfFeatures):
    """Minus the squared distances to the prototypes, which of one shot are the examples."""

    def predict(self, learned, support, x):
        prototypes = features(learned, support[0])
        return -jnp.square(features(learned, x)[:, None] - prototypes).sum(-1)


class Ridge(OfFeatures):
    """Ridge regression with an intercept to one-hot rows, times a scale, for 5 ways."""

    def start(self, params):
        return super().start(params) | {"log_penalty": jnp.zeros(()), "log_scale": jnp.zeros(())}

    def predict(self, learned, support, x):
        known, y = features(learned, support[0]), jax.nn.one_hot(support[1], 5)
        apart = known - known.mean(0)
        kernel = apart @ apart.T + jnp.exp(learned["log_penalty"]) * jnp.eye(len(apart))
        head = apart.T @ jnp.linalg.solve(kernel, y - y.mean(0))
        predicted = (features(learned, x) - known.mean(0)) @ head + y.mean(0)
        return jnp.exp(learned["log_scale"]) * predicted


class ImplicitMAML:
    """Steps, one step back, and conjugate gradients, as the authors' code has them."""

    def __init__(self, rate, steps, pull, damping, cg_steps):
        self.rate, self.steps, self.pull = rate, steps, pull
        self.damping, self.cg_steps = damping, cg_steps

    def start(self, params):
        return params

    def adapt(self, params, support):
        def take(_, params):
            return descend(params, jax.grad(loss)(params, support), self.rate)

        return jax.lax.fori_loop(0, self.steps, take, params)

    def gradient(self, learned, support, query, count):
        theta, unravel = ravel_pytree(learned)
        phi = ravel_pytree(self.adapt(learned, support))[0]
        phi = phi - self.rate * self.pull * (phi - theta)
        support_gradient = jax.grad(lambda phi: loss(unravel(phi), support))

        def product(vector):
            bent = jax.jvp(support_gradient, (phi,), (vector,))[1]
            return (1 + self.damping) * vector + bent / (self.pull + 10 * self.damping)

        value, gradient = jax.value_and_grad(lambda phi: loss(unravel(phi), query))(phi)
        return value, unravel(conjugate_gradients(product, gradient, self.cg_steps))

    def predict(self, learned, support, x):
        return logits(self.adapt(learned, support), x)


def conjugate_gradients(product, right, steps):
    def take(_, state):
        x, residual, direction = state
        bent = product(direction)
        squared = residual @ residual
        length = squared / (direction @ bent)
        x, residual = x + length * direction, residual - length * bent
        return x, residual, residual + residual @ residual / squared * direction

    return jax.lax.fori_loop(0, steps, take, (jnp.zeros_like(right), right, right))[0]


# The optimizers, whose rate is a function of the meta-steps taken before.


def cosine(first, last, share):
    """Return the rate when a share of the training is over, between the first and the last one."""
    return last + (first - last) * (1 + jnp.cos(jnp.pi * share)) / 2


class Descent:
    def __init__(self, rate):
        self.rate = rate

    def start(self, learned):
        return ()

    def step(self, learned, gradients, slots, count):
        return descend(learned, gradients, self.rate(count)), slots


class Adam:
    """Keras' Adam, which adds epsilon to the root before the root's bias is taken out."""

    def __init__(self, rate, epsilon=1e-7):
        self.rate, self.epsilon = rate, epsilon

    def start(self, learned):
        zeros = jax.tree.map(jnp.zeros_like, learned)
        return zeros, zeros

    def step(self, learned, gradients, slots, count):
        means, squares = slots
        means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
        squares = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, squares, gradients)
        power = count + 1.0
        rate = self.rate(count) * jnp.sqrt(1 - 0.999**power) / (1 - 0.9**power)
        moves = jax.tree.map(lambda m, s: m / (jnp.sqrt(s) + self.epsilon), means, squares)
        return descend(learned, moves, rate), (means, squares)


class Trainer:
    """Takes meta-steps, and scores tasks.

    Parameters
    ----------
    algorithm, optimizer : object
        Of the classes above.
    values : list of numpy.ndarray
        The weights of the Keras model.
    """

    def __init__(self, algorithm, optimizer, values):
        self.algorithm, self.optimizer = algorithm, optimizer
        learned = algorithm.start(to_params(values))
        self.state = learned, optimizer.start(learned), jnp.zeros((), jnp.int32)
        self._jitted_step = jax.jit(self._step)
        self._jitted_score = jax.jit(self._score)

    def step(self, support, query):
        """Take one meta-step, and return the mean query loss."""
        value, self.state = self._jitted_step(self.state, support, query)
        return float(value)

    def accuracy(self, support, query):
        """Return the accuracy in each task, as a float array."""
        return np.asarray(self._jitted_score(self.state[0], support, query), np.float64)

    def save(self, path):
        np.savez(path, *jax.tree.leaves(self.state))

    def load(self, path):
        with np.load(path) as arrays:
            leaves = [jnp.asarray(arrays[name]) for name in arrays.files]
        self.state = jax.tree.unflatten(jax.tree.structure(self.state), leaves)

    def _step(self, state, support, query):
        learned, slots, count = state
        value, gradient = self._mean(learned, count, support, query)
        learned, slots = self.optimizer.step(learned, gradient, slots, count)
        return value, (learned, slots, count + 1)

    def _mean(self, learned, count, support, query):
        """Return the mean of what each task gives, one task after the other."""

        def add(sums, task):
            found = self.algorithm.gradient(learned, *task, count)
            return jax.tree.map(jnp.add, sums, found), None

        zeros = jnp.zeros(()), jax.tree.map(jnp.zeros_like, learned)
        sums, _ = jax.lax.scan(add, zeros, (support, query))
        return jax.tree.map(lambda total: total / len(query[1]), sums)

    def _score(self, learned, support, query):
        def of_task(task):
            support, (x, y) = task
            return (self.algorithm.predict(learned, support, x).argmax(-1) == y).mean()

        return jax.lax.map(of_task, (support, query))
