import keras
import pytest

from deepchem_meta.engine.direction import smaller_is_better


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.MeanSquaredError(),
        keras.metrics.RootMeanSquaredError(),
        keras.metrics.MeanAbsolutePercentageError(),
        keras.metrics.KLDivergence(),
        keras.metrics.Poisson(),
        keras.metrics.LogCoshError(),
        keras.metrics.CategoricalHinge(),
        keras.metrics.SparseCategoricalCrossentropy(),
    ],
)
def test_losses_and_errors_of_keras(metric):
    assert smaller_is_better(metric.name) and smaller_is_better(f"val_{metric.name}")


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.SparseCategoricalAccuracy(),
        keras.metrics.AUC(),
        keras.metrics.Precision(),
        keras.metrics.F1Score(),
        keras.metrics.R2Score(),
        keras.metrics.CosineSimilarity(),
        keras.metrics.MeanIoU(2),
    ],
)
def test_scores_of_keras(metric):
    assert not smaller_is_better(metric.name)


def test_a_negative_error_is_a_score():
    assert not smaller_is_better("neg_mean_squared_error")
    assert not smaller_is_better("val_neg_log_loss") and smaller_is_better("val_log_loss")
