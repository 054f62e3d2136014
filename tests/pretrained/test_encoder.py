import json

import numpy as np
import pytest
from molecules_small import ACIDS, ALCOHOLS, AMINES

pytest.importorskip("rdkit")

from deepchem_meta.metalearning import GaussianProcessHead
from deepchem_meta.pretrained import AssayEncoder
from deepchem_meta.pretrained.encoder import make_net
from deepchem_meta.tasks import AssayTasks, Descriptors, Featurizer, MorganCounts, SideBySide


def encoder(featurizer=None, seeds=(0,)):
    featurizer = MorganCounts(64) if featurizer is None else featurizer
    nets = [make_net(featurizer.size, (16, 8), 0.1) for _ in seeds]
    return AssayEncoder(featurizer, nets, {"data": "none"}, {})


def test_embedding_is_that_of_each_net_side_by_side():
    made = encoder(seeds=(0, 1))
    smiles = ALCOHOLS[:5]
    found = made.embed(smiles, batch_size=2)
    x = made.featurizer(smiles)
    expected = np.concatenate([net(x, training=False) for net in made.nets], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.embed(x), expected, rtol=1e-5, atol=1e-6)
    assert found.shape == (5, made.size) and made.embed([]).shape == (0, made.size)
    # Layer normalisation: of each net's outputs the mean is 0 and the variance 1.
    np.testing.assert_allclose(found[:, :8].mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(found[:, :8].var(1), 1, rtol=0.05)


def test_saved_and_loaded(tmp_path):
    names = ["MolWt", "TPSA"]
    featurizer = SideBySide(MorganCounts(64, pharmacophores=True), Descriptors(names))
    tasks = AssayTasks.from_results(
        ["a"] * 32,
        ALCOHOLS + AMINES,
        [0.0] * 16 + [1.0] * 16,
        featurizer=featurizer,
        shots=2,
        queries=2,
    )
    made = encoder(tasks.x.featurizer, (0, 1))
    made.heads["regression"] = {"noise": 0.25}
    (tmp_path / "a.tmp.npz").write_text("of somebody else")
    made.save(tmp_path / "a.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "a.tmp.npz"]
    assert (tmp_path / "a.tmp.npz").read_text() == "of somebody else"
    again = AssayEncoder.load(tmp_path / "a.npz")
    assert again.about == {"data": "none"} and again.heads == made.heads
    difference = again.embed(ACIDS) - made.embed(ACIDS)
    assert np.abs(difference).max() < 0.05  # 8 bits a weight


def test_joined_keeps_the_order_and_needs_one_featurizer():
    a, b = encoder(), encoder()
    both = a.joined(b)
    apart = np.concatenate([a.embed(AMINES), b.embed(AMINES)], axis=1)
    np.testing.assert_allclose(both.embed(AMINES), apart, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="must have the same featurizer"):
        a.joined(encoder(MorganCounts(32)))


def test_process_is_the_head_over_features_or_embeddings():
    made = encoder()
    made.heads["classification"] = {
        **{"noise": 0.5, "rbf_amplitude": 2.0, "linear_amplitude": 0.3},
        **{"length_scale": 1.5, "scale": 3.0},
    }
    process = made.process()
    assert isinstance(process, GaussianProcessHead)
    assert process.hyperparameters == pytest.approx(made.heads["classification"])
    x, y = made.featurizer(ALCOHOLS + AMINES), np.repeat([0, 1], 16)
    over_embeddings = made.process(embedded=True).adapt((made.embed(x), y))
    np.testing.assert_allclose(
        process.adapt((x, y)).predict(x),
        over_embeddings.predict(made.embed(x)),
        rtol=1e-3,
        atol=1e-4,
    )
    with pytest.raises(ValueError, match="`task_type`"):
        made.process("ranking")


@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_calibrate_learns_the_head_alone(task_type):
    made = encoder()
    before = [net.get_weights() for net in made.nets]
    classes = task_type == "classification"
    values = (
        [0.0] * 16 + [1.0] * 32 if classes else [float(len(s)) for s in ALCOHOLS + AMINES + ACIDS]
    )
    tasks = AssayTasks.from_results(
        ["a"] * 48,
        ALCOHOLS + AMINES + ACIDS,
        values,
        featurizer=made.featurizer,
        task_type=task_type,
        shots=(4, 8),
        queries=4,
    )
    process = made.process(task_type, embedded=True)
    embedded = made.embed(tasks.x)
    rows = np.random.default_rng(0).permutation(48)

    def loss(head):
        y = tasks.results.value[rows, None].astype(int if classes else "float32")
        return float(
            head.adapt((embedded[rows[:16]], y[:16])).predict_on_batch(
                [embedded[rows[16:]], y[16:]]
            )[0]
        )

    first = loss(process)
    made.calibrate(tasks, steps=60)
    assert loss(made.process(task_type, embedded=True)) < first
    for old, net in zip(before, made.nets, strict=True):
        for a, b in zip(old, net.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_held_out_takes_the_nearest_number():
    made = encoder()
    assert made.held_out("regression", 10) == {}
    made.about["held_out"] = {"regression": {"16": {"r2": [0, 1, 2]}, "64": {"r2": [3, 4, 5]}}}
    assert made.held_out("regression", 10) == {"shots": 16, "r2": [0, 1, 2]}
    assert made.held_out("regression", 40)["shots"] == 64


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="must be the name of a .npz file"):
        AssayEncoder.load(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError):
        AssayEncoder.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="that `AssayEncoder.save` has written"):
        AssayEncoder.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", other=np.zeros(3))
    with pytest.raises(ValueError, match="that `AssayEncoder.save` has written"):
        AssayEncoder.load(tmp_path / "b.npz")
    encoder().save(tmp_path / "c.npz")
    whole = (tmp_path / "c.npz").read_bytes()
    (tmp_path / "c.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="that `AssayEncoder.save` has written"):
        AssayEncoder.load(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", head=np.frombuffer(b'{"format": 99}', np.uint8))
    with pytest.raises(ValueError, match="format 1, that of this version.*Received: format 99"):
        AssayEncoder.load(tmp_path / "d.npz")


def test_only_known_featurizers_are_saved_and_read(tmp_path):
    class Own(Featurizer):
        size, storage = 4, np.dtype("uint8")

    with pytest.raises(NotImplementedError):
        AssayEncoder(Own(), [make_net(4, (2,), 0.0)]).save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def with_setting(path, value):
    """Give the first dense layer of a saved encoder a setting that this Keras does not have."""
    with np.load(path) as file:
        arrays = dict(file)
    head = json.loads(arrays["head"].tobytes())
    dense = next(layer for layer in head["nets"][0]["layers"] if layer["class_name"] == "Dense")
    dense["config"]["of_a_later_keras"] = value
    dense["config"]["kernel_initializer"]["config"]["of_a_later_keras"] = value
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    np.savez(path, **arrays)


def test_unused_settings_of_a_later_keras_are_left_out(tmp_path):
    encoder().save(path := tmp_path / "encoder.npz")
    before = AssayEncoder.load(path).embed(ACIDS)
    for unused in (None, False):
        with_setting(path, unused)
        np.testing.assert_array_equal(AssayEncoder.load(path).embed(ACIDS), before)
    with_setting(path, 3)
    with pytest.raises(ValueError, match="must be a file that .*save.* has written"):
        AssayEncoder.load(path)
