"""Label propagation: labels for unlabelled examples from a graph of nearest neighbours.

A network that begins to learn from few labels classifies what is far from all of them by chance,
and agreement of views then keeps it there. A path of near neighbours often leads from there to the
right class, though no labelled example is near: the graph gives the labels to begin with.
"""

import math

import numpy as np
from scipy import ndimage
from scipy import sparse
from scipy.sparse import linalg
from sklearn import decomposition
from sklearn import neighbors
from sklearn import preprocessing

from keras_aae.data import splits

_VALUES = 64_000_000  # Pixels or features of all examples in the graph: 256 MB as float32.
_BLUR = 1.0  # Standard deviation in pixels, so that a stroke moved by a pixel stays near.
_COMPONENTS = 50
_NEIGHBOURS = 5
_REACH = 0.99  # Of a label: the share that a node hands on to its neighbours.
_SHARE = 0.7  # Of all propagated labels: the surest of them are kept.
_PRECISION = 0.95  # Of the share that is kept, estimated from the labels given; or none is.


def propagate(train: splits.Split, classes: int) -> np.ndarray:
    """Labels for the examples that the graph is sure of: int32 [N], -1 where it isn't.

    Nodes are examples, of images blurred ones, in their principal components; edges lead to the
    nearest neighbours. Labels diffuse as in Zhou et al., "Learning with local and global
    consistency" (2004). The surest 70 % are kept, those whose best class is the furthest ahead. Of
    data whose neighbours say little, none are: one half of the labels given is propagated and
    compared with the other, and the other way round, and of the surest 70 % there 95 % must be
    right.

    Of much data a part is in the graph: 81,000 images of 28x28 pixels or 5,000 of 64x64 in colour,
    and as many labelled ones.

    Args:
        train: Examples and the labels given, which come back as they are.
        classes: How many classes there are.
    """
    count = max(1, _VALUES // math.prod(train.x.shape[1:]))
    known = splits.spread(np.flatnonzero(train.y != splits.UNLABELLED), count)
    nodes = np.union1d(known, splits.spread(np.arange(len(train.y)), count))
    labels = train.y[nodes]
    graph = _graph(_features(train.take(nodes).array()))
    propagated = train.y.copy()
    if _precision(graph, labels, classes) >= _PRECISION:
        guesses, ahead = _diffuse(graph, labels, classes)
        unknown = np.flatnonzero(labels == splits.UNLABELLED)
        kept = unknown[_surest(ahead[unknown])]
        propagated[nodes[kept]] = guesses[kept]
    return propagated


def _features(x: np.ndarray) -> np.ndarray:
    """The principal components of images or feature vectors, float32 [N, 50 or fewer].

    Features are standardised, as models see them.
    """
    if x.ndim == 4:
        x = ndimage.gaussian_filter(x.astype(np.float32), (0, _BLUR, _BLUR, 0))
        x = x.reshape(len(x), -1)
    else:
        x = preprocessing.scale(x.astype(np.float64)).astype(np.float32)
    components = decomposition.PCA(min(_COMPONENTS, *x.shape), random_state=0)
    return components.fit_transform(x)


def _graph(features: np.ndarray) -> sparse.csr_matrix:
    """The weights of the edges between neighbours, [N, N], symmetrically normalised."""
    count, neighbours = len(features), min(_NEIGHBOURS, len(features) - 1)
    search = neighbors.NearestNeighbors(n_neighbors=neighbours, algorithm="brute", n_jobs=-1)
    distances, found = search.fit(features).kneighbors()
    scale = np.maximum(distances[:, -1:], np.finfo(np.float32).tiny)
    weights = np.exp(-2 * (distances / scale) ** 2)
    rows = np.repeat(np.arange(count), neighbours)
    edges = sparse.csr_matrix((weights.ravel(), (rows, found.ravel())), (count, count))
    edges = edges.maximum(edges.T)
    normal = sparse.diags(1 / np.sqrt(np.asarray(edges.sum(axis=1)).ravel()))
    return (normal @ edges @ normal).tocsr()


def _diffuse(
    graph: sparse.csr_matrix, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each node, and how far its share is ahead of the second's, 0 to 1.

    Classes have equal mass over all nodes, so that one with labels in a dense place doesn't win
    everywhere.
    """
    system = sparse.identity(len(labels)) - _REACH * graph
    columns = [
        linalg.cg(system, (labels == label).astype(float), rtol=1e-6, maxiter=100)[0]
        for label in range(classes)
    ]
    mass = np.maximum(np.stack(columns, axis=1), 0)
    mass /= np.maximum(mass.sum(axis=0), np.finfo(float).tiny)
    shares = mass / np.maximum(mass.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    second, first = np.sort(np.pad(shares, ((0, 0), (1, 0))), axis=1)[:, -2:].T
    return shares.argmax(axis=1), first - second


def _surest(ahead: np.ndarray) -> np.ndarray:
    """The places of the share that is kept, of those that any label reaches."""
    order = np.argsort(-ahead, kind="stable")[: round(_SHARE * len(ahead))]
    return order[ahead[order] > 0]


def _precision(graph: sparse.csr_matrix, labels: np.ndarray, classes: int) -> float:
    """The share of right ones among the surest labels given, found from the others; or 0.

    Each class is halved: every second of its labels is withheld, then the others. A label that none
    reaches confirms nothing, whatever class that is called.
    """
    half = np.zeros(len(labels), bool)
    for label in range(classes):
        half[np.flatnonzero(labels == label)[::2]] = True
    right, ahead = [], []
    for withheld in (half, (labels != splits.UNLABELLED) & ~half):
        given = np.where(withheld, splits.UNLABELLED, labels)
        guesses, leads = _diffuse(graph, given, classes)
        right.append((guesses == labels)[withheld])
        ahead.append(leads[withheld])
    surest = _surest(np.concatenate(ahead))
    return float(np.concatenate(right)[surest].mean()) if surest.size else 0.0
