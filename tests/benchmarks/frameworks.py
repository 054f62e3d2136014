"""The few operations that the workloads' models need, in TensorFlow, JAX and PyTorch.

Images are (..., height, width, channels) and kernels (height, width, in, out) in TensorFlow and
JAX; PyTorch gets both in its own order, by `batch_to_torch` and `variables_to_torch`.
"""

from types import SimpleNamespace

_EPSILON = 1e-3


def tensorflow_ops():
    import tensorflow as tf

    def batch_norm(x, scale, offset):
        # tf.nn.moments stops the gradient at the mean, which makes its second derivative wrong.
        mean, variance = tf.reduce_mean(x, [0, 1, 2]), tf.math.reduce_variance(x, [0, 1, 2])
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, _EPSILON)

    def sigmoid_loss(logits, y):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits))

    def softmax_loss(logits, y):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        return tf.reduce_mean(losses)

    return SimpleNamespace(
        relu=tf.nn.relu,
        conv=lambda x, kernel: tf.nn.conv2d(x, kernel, 2, "SAME"),
        batch_norm=batch_norm,
        mean_over_space=lambda x: tf.reduce_mean(x, [1, 2]),
        squared_loss=lambda outputs, y: tf.reduce_mean(tf.square(outputs - y)),
        sigmoid_loss=sigmoid_loss,
        softmax_loss=softmax_loss,
    )


def jax_ops():
    import jax
    import jax.numpy as jnp

    def conv(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=layout)

    def batch_norm(x, scale, offset):
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) * (scale * jax.lax.rsqrt(variance + _EPSILON)) + offset

    def sigmoid_loss(logits, y):
        return jnp.mean(jax.nn.softplus(logits) - y * logits)

    def softmax_loss(logits, y):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))

    return SimpleNamespace(
        relu=jax.nn.relu,
        conv=conv,
        batch_norm=batch_norm,
        mean_over_space=lambda x: x.mean((1, 2)),
        squared_loss=lambda outputs, y: jnp.mean(jnp.square(outputs - y)),
        sigmoid_loss=sigmoid_loss,
        softmax_loss=softmax_loss,
    )


def torch_ops():
    from torch.nn import functional

    def conv(x, kernel):
        # TensorFlow's "SAME" with stride 2 pads odd totals at the end only.
        size = x.shape[-1]
        total = max(2 * ((size + 1) // 2 - 1) + kernel.shape[-1] - size, 0)
        before, after = total // 2, total - total // 2
        x = functional.pad(x, (before, after, before, after))
        return functional.conv2d(x, kernel, stride=2)

    def batch_norm(x, scale, offset):
        return functional.batch_norm(x, None, None, scale, offset, training=True, eps=_EPSILON)

    return SimpleNamespace(
        relu=functional.relu,
        conv=conv,
        batch_norm=batch_norm,
        mean_over_space=lambda x: x.mean((2, 3)),
        squared_loss=functional.mse_loss,
        sigmoid_loss=functional.binary_cross_entropy_with_logits,
        softmax_loss=functional.cross_entropy,
    )


def batch_to_torch(arrays):
    """Turn a stacked batch into tensors: channels before height and width, labels int64."""
    import torch

    tensors = [torch.from_numpy(array) for array in arrays]
    tensors = [t if t.is_floating_point() else t.long() for t in tensors]
    return [t.movedim(-1, -3) if t.ndim == 5 else t for t in tensors]


def variables_to_torch(values):
    """Turn weights into tensors, kernels as (out, in, height, width)."""
    import torch

    tensors = [torch.tensor(value) for value in values]
    return [t.permute(3, 2, 0, 1).contiguous() if t.ndim == 4 else t for t in tensors]


def variables_from_torch(tensors):
    """Undo `variables_to_torch`."""
    tensors = [t.permute(2, 3, 1, 0) if t.ndim == 4 else t for t in tensors]
    return [t.detach().numpy() for t in tensors]
