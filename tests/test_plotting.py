import sys

import keras
import numpy as np
import pytest

import deepchem_meta as dc
from deepchem_meta.evaluation import Comparison, Evaluation
from deepchem_meta.plotting import (
    plot_adaptation,
    plot_comparison,
    plot_episode,
    plot_regression,
)

pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure().subplots()


def evaluation(scale=1.0, steps=(0, 1, 5), **options):
    rng = np.random.default_rng(0)
    values = {name: scale * rng.random((40, len(steps))) for name in ("loss", "roc_auc")}
    return Evaluation(values, steps, seed=0, **options)


def texts(artists):
    return [artist.get_text() for artist in artists]


class TestAdaptation:
    def test_draws_means_and_intervals(self, ax):
        some = {"A": evaluation(), "B": evaluation(2.0)}
        assert plot_adaptation(some, "roc_auc", ax=ax) is ax
        assert len(ax.lines) == len(ax.collections) == 2
        for line, band, one in zip(ax.lines, ax.collections, some.values(), strict=True):
            mean, half = one.mean["roc_auc"], one.ci95["roc_auc"]
            np.testing.assert_array_equal(line.get_xdata(), [0, 1, 5])
            np.testing.assert_array_equal(line.get_ydata(), mean)
            corners = band.get_paths()[0].vertices
            for step, low, high in zip([0, 1, 5], mean - half, mean + half, strict=True):
                y = corners[corners[:, 0] == step, 1]
                np.testing.assert_allclose([y.min(), y.max()], [low, high])
        assert ax.get_xlabel() == "steps of adaptation"
        assert ax.get_ylabel() == "roc auc on query sets"
        assert texts(ax.get_legend().get_texts()) == ["A", "B"]
        assert ax.get_legend().get_title().get_text() == "mean and 95% interval over tasks"
        assert np.all(ax.get_xticks() % 1 == 0)

    def test_lines_differ_in_more_than_colour(self, ax):
        plot_adaptation({str(i): evaluation() for i in range(4)}, ax=ax)
        assert len({line.get_color() for line in ax.lines}) == 4
        assert len({line.get_marker() for line in ax.lines}) == 4
        assert len({line.get_linestyle() for line in ax.lines}) == 4

    def test_steps_are_drawn_in_order(self, ax):
        one = evaluation(steps=(5, 0, 1))
        plot_adaptation({"A": one}, ax=ax)
        np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 1, 5])
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), one.mean["loss"][[1, 2, 0]])

    def test_named_tasks_have_intervals_over_draws(self, ax):
        plot_adaptation({"A": evaluation(task_names=["P", "Q"] * 20)}, ax=ax)
        assert ax.get_legend().get_title().get_text().endswith("over draws")

    def test_a_new_figure_is_the_only_thing_left_behind(self, ax):
        settings = dict(pyplot.rcParams)
        plot_adaptation({"A": evaluation()}, ax=ax)
        assert pyplot.get_fignums() == []
        new = plot_adaptation({"A": evaluation()})
        assert pyplot.get_fignums() == [new.figure.number]
        assert dict(pyplot.rcParams) == settings

    def test_an_evaluation_draws_itself(self, ax):
        one = evaluation()
        assert one.plot(ax=ax) is ax
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), one.mean["roc_auc"])

    @pytest.mark.parametrize("wrong", [{}, [1], None])
    def test_no_evaluations_are_refused(self, wrong):
        with pytest.raises(TypeError, match="`evaluations` must be a dict.*Received"):
            plot_adaptation(wrong)

    def test_an_unknown_metric_is_refused(self):
        with pytest.raises(ValueError, match=r"one of \['loss', 'roc_auc'\].*'A'.*'accuracy'"):
            plot_adaptation({"A": evaluation()}, "accuracy")
        assert pyplot.get_fignums() == []


class TestComparison:
    @pytest.fixture
    def comparison(self):
        scales = {"A": 1.0, "B": 3.0, "C": 2.0}
        some = {name: evaluation(scale, (1,)) for name, scale in scales.items()}
        return Comparison(some, "roc_auc")

    def test_draws_a_point_and_an_interval_for_each(self, comparison, ax):
        assert plot_comparison(comparison, ax=ax) is ax
        assert texts(ax.get_yticklabels()) == ["B", "C", "A"]  # the largest first
        points, *_ = ax.containers[0].lines
        (bars,) = ax.containers[0].lines[2]
        drawn = zip(points.get_xdata(), points.get_ydata(), bars.get_segments(), strict=True)
        for row, (name, (x, y, ends)) in enumerate(zip("BCA", drawn, strict=True)):
            mean, half = comparison.mean[name], comparison.ci95[name]
            assert (x, y) == (mean, row)
            np.testing.assert_allclose(ends, [[mean - half, row], [mean + half, row]])
        bottom, top = ax.get_ylim()
        assert bottom > 2 > 0 > top  # the best on top
        label = "roc auc on query sets, mean and 95% interval over tasks"
        assert ax.get_xlabel() == label

    def test_a_comparison_draws_itself(self, comparison):
        ax = comparison.plot()
        assert pyplot.get_fignums() == [ax.figure.number]
        assert len(ax.containers) == 1

    def test_one_task_has_no_interval(self, ax):
        one = Evaluation({"loss": [[1.0]]}, (0,), seed=0)
        plot_comparison(Comparison({"A": one}, "loss"), ax=ax)
        ax.figure.canvas.draw()

    @pytest.mark.parametrize("wrong", [None, evaluation()])
    def test_no_comparison_is_refused(self, wrong):
        with pytest.raises(TypeError, match="`comparison` must be a Comparison.*Received"):
            plot_comparison(wrong)
        assert pyplot.get_fignums() == []


class TestRegression:
    @pytest.fixture
    def maml(self):
        tasks = dc.tasks.SinusoidTasks()
        model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        learner = dc.metalearning.KerasLearner(model, "mse", tasks)
        return dc.metalearning.MAML(learner, learning_rate=0.1)

    @pytest.fixture
    def support(self):
        x = np.linspace(-2, 3, 5, dtype="float32")[:, np.newaxis]
        return x, np.sin(x)

    def test_draws_predictions_truth_and_points(self, maml, support, ax):
        x = np.linspace(-2, 2, 7)
        plot_regression(maml, support, optimization_steps=(0, 3), x=x, truth=np.sin, ax=ax)
        drawn = dict(zip(texts(ax.get_legend().get_texts()), ax.lines, strict=True))
        assert list(drawn) == ["truth", "before adaptation", "after 3 steps", "support set"]
        np.testing.assert_allclose(drawn["truth"].get_ydata(), np.sin(x), rtol=1e-5)
        np.testing.assert_allclose(
            np.transpose(drawn["support set"].get_data()), np.hstack(support)
        )
        for steps, label in ((0, "before adaptation"), (3, "after 3 steps")):
            expected = maml.adapt(support, steps).predict(x.astype("float32")[:, np.newaxis])
            np.testing.assert_allclose(drawn[label].get_xdata(), x, rtol=1e-6)
            np.testing.assert_allclose(drawn[label].get_ydata(), expected[:, 0], rtol=1e-6)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")

    def test_by_default_the_grid_is_wider_than_the_support_set(self, maml, support):
        ax = plot_regression(maml, support)
        assert pyplot.get_fignums() == [ax.figure.number]
        x = ax.lines[0].get_xdata()
        np.testing.assert_allclose([x[0], x[-1], len(x)], [-2.5, 3.5, 200])
        labels = ["before adaptation", "after 1 step", "after 10 steps", "support set"]
        assert texts(ax.get_legend().get_texts()) == labels

    def test_padding_is_not_drawn(self, maml, support, ax):
        x, y = support
        weights = np.float32([1, 1, 0, 1, 0])
        plot_regression(maml, (x, y, weights), truth=np.zeros(200), ax=ax)
        np.testing.assert_array_equal(ax.lines[-1].get_xdata(), x[weights > 0, 0])

    def test_whole_numbers_do_not_make_the_grid_whole(self, maml, ax):
        x = np.array([[0], [1]])
        plot_regression(maml, (x, x.astype("float32")), optimization_steps=(0,), ax=ax)
        assert np.all(np.diff(ax.lines[0].get_xdata()) > 0)

    def test_two_inputs_are_refused(self, maml, support):
        x, y = support
        with pytest.raises(ValueError, match=r"support set's x must have the shape .* \(5, 2\)"):
            plot_regression(maml, (np.hstack([x, x]), y))

    def test_a_truth_of_another_length_is_refused(self, maml, support):
        with pytest.raises(ValueError, match=r"`truth` must have the shape \(200,\) .* \(3,\)"):
            plot_regression(maml, support, truth=np.zeros(3))
        assert pyplot.get_fignums() == []


class TestEpisode:
    @pytest.fixture
    def episode(self):
        """Give two classes of two images to adapt to, and three queries of each."""
        images = np.random.default_rng(0).random((10, 6, 5, 1))
        return (images[:4], np.array([0, 0, 1, 1])), (images[4:], np.array([0, 1, 0, 1, 0, 1]))

    def test_images_stand_in_the_row_of_their_class(self, episode, ax):
        (x, y), (query_x, query_y) = episode
        plot_episode(*episode, query_y, ax=ax)
        assert len(ax.images) == 10
        tops = {}
        for image in ax.images:
            key = np.asarray(image.get_array()).tobytes()
            tops[key] = image.get_extent()[3]
        for images, classes in ((x, y), (query_x, query_y)):
            rows = [tops[image[..., 0].tobytes()] for image in images]
            assert len({(c, row) for c, row in zip(classes, rows, strict=True)}) == 2
        limits = {image.get_clim() for image in ax.images}
        assert limits == {(min(x.min(), query_x.min()), max(x.max(), query_x.max()))}

    def test_right_and_wrong_differ_in_colour_and_mark(self, episode, ax):
        plot_episode(*episode, np.array([0, 1, 1, 1, 0, 0]), ax=ax)
        marks = [text for text in ax.texts if text.get_text()[0] in "✓✗"]
        shown = [(text.get_text(), text.get_color()) for text in marks]
        right, wrong = "#0072B2", "#D55E00"
        assert shown == [
            ("✓ 0", right),
            ("✗ 1", wrong),
            ("✓ 0", right),
            ("✓ 1", right),
            ("✓ 1", right),
            ("✗ 0", wrong),
        ]
        assert ax.get_title() == "4 of 6 query images right"

    def test_scores_count_as_the_largest(self, episode, ax):
        scores = np.eye(2)[[0, 1, 0, 1, 0, 0]]
        plot_episode(*episode, scores, ax=ax)
        assert ax.get_title() == "5 of 6 query images right"

    def test_names_and_the_most_queries(self, episode, ax):
        plot_episode(*episode, episode[1][1], names=["cat", "dog"], max_queries=1, ax=ax)
        assert len(ax.images) == 4 + 2
        assert {"cat", "dog", "✓ cat", "✓ dog", "support set"} <= set(texts(ax.texts))
        assert ax.get_title() == "6 of 6 query images right"

    def test_padding_is_left_out(self, episode, ax):
        support, (x, y) = episode
        plot_episode(support, (x, y, np.float32([1, 1, 1, 1, 0, 0])), y, ax=ax)
        assert len(ax.images) == 8
        assert ax.get_title() == "4 of 4 query images right"

    def test_everything_drawn_is_in_sight(self, episode):
        ax = plot_episode(*episode, episode[1][1])
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        for image in ax.images:
            x0, x1, y1, y0 = image.get_extent()
            assert left <= x0 < x1 <= right
            assert top <= y0 < y1 <= bottom
        assert pyplot.get_fignums() == [ax.figure.number]

    @pytest.mark.parametrize(
        ("predictions", "options", "message"),
        [
            (np.zeros(6), {}, "`predictions` must be integers.*float64"),
            (np.zeros(5, int), {}, r"`predictions` must be integers of shape \(6,\)"),
            (np.zeros(6, int), {"names": ["a"]}, "`names` must name each of 2 classes"),
            (np.zeros(6, int), {"max_queries": 0}, "`max_queries` must be at least 1"),
        ],
    )
    def test_wrong_arguments_are_refused(self, episode, predictions, options, message):
        with pytest.raises(ValueError, match=message):
            plot_episode(*episode, predictions, **options)
        assert pyplot.get_fignums() == []

    def test_flat_images_are_refused(self, episode):
        (x, y), query = episode
        with pytest.raises(ValueError, match=r"images of shape \(examples, height, width\)"):
            plot_episode((x.reshape(4, -1), y), query, query[1])


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "deepchem_meta\[plot\]"'):
        plot_adaptation({"A": evaluation()})
