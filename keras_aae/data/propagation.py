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
_PRECISION = 0.98  # Of labels that are kept, estimated from the labels given.


def propagate(train: splits.Split, classes: int) -> np.ndarray:
    """Labels for the examples that the graph is sure of: int32 [N], -1 where it isn't.

    Nodes are examples, of images blurred ones, in their principal components; edges lead to the
    nearest neighbours. Labels diffuse as in Zhou et al., "Learning with local and global
    consistency" (2004). How much the best class must be ahead for a label to be kept is found from
    the labels given: one half is propagated and compared with the other, and the other way round,
    and 98 % of what is kept there must be right. Of data whose neighbours say little, hardly any
    are kept.

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
    margin = _margin(graph, labels, classes)
    guesses, ahead = _diffuse(graph, labels, classes)
    kept = (labels == splits.UNLABELLED) & (ahead >= margin)
    propagated = train.y.copy()
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
    second, first = np.sort(shares, axis=1)[:, -2:].T
    return shares.argmax(axis=1), first - second


def _margin(graph: sparse.csr_matrix, labels: np.ndarray, classes: int) -> float:
    """The least lead with which enough of the labels given are found from the others; or infinity.

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
        right.append(((guesses == labels) & (leads > 0))[withheld])
        ahead.append(leads[withheld])
    order = np.argsort(-np.concatenate(ahead), kind="stable")
    precision = np.cumsum(np.concatenate(right)[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= _PRECISION)
    return float(np.concatenate(ahead)[order][enough[-1]]) if enough.size else np.inf
