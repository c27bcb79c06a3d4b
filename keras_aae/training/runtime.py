"""The devices and processes that a run trains on."""

from collections.abc import Iterator
import contextlib
import functools

import tensorflow as tf

from keras_aae import errors
from keras_aae import files
from keras_aae import interrupts
from keras_aae import reading
from keras_aae.training import cluster as cluster_lib

# What a collective operation fails with where another process doesn't answer.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)


class Runtime:
    """The distribution strategy of a run, and the part in it that this process has.

    It is made before anything else: TensorFlow joins a cluster only before its first operation.

    Args:
        name: `single` (the current strategy, by default one device), `mirrored` (every GPU), or
            `auto` or `multiworker` (mirrored with two GPUs or more).
        steps_per_execution: Steps in one call of the compiled function.
        cluster: The processes that train together, each with all its GPUs; `name` then says nothing
            more. None: this one alone.

    Attributes:
        strategy: The distribution strategy.
        workers: How many processes train together.
        is_chief: Whether this process writes what the run leaves.
    """

    def __init__(
        self,
        name: str = "single",
        steps_per_execution: int = 1,
        cluster: cluster_lib.Cluster | None = None,
    ):
        self.workers, number, _ = cluster or cluster_lib.Cluster()
        self.is_chief = number == 0
        if cluster:
            self.strategy = _across_workers(cluster)
        elif name == "mirrored" or (name != "single" and _gpus() > 1):
            self.strategy = _mirrored(steps_per_execution > 1)
        else:
            self.strategy = tf.distribute.get_strategy()

    def wait(self) -> None:
        """Waits until every process is here.

        Raises:
            WorkerLostError: another process is gone.
        """
        self.agree("where they are", 0)

    def agree(self, what: str, value: str | int) -> None:
        """Waits until every process is here, and checks that all have the same value.

        Args:
            what: What it is, for the message.
            value: The value.

        Raises:
            UserError: another process has another one.
            WorkerLostError: another process is gone.
        """
        if self.workers == 1:
            return
        own = tf.constant([int(files.digest(str(value).encode())[-7:], 16)])  # 28 bits of it.

        @tf.function(autograph=False)
        def gathered() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_gather(own, axis=0)

        with self.together(), interrupts.by_default():
            values = self.strategy.experimental_local_results(self.strategy.run(gathered))[0]
            same = bool(tf.reduce_all(values == own))
        if not same:
            raise errors.UserError(f"the workers don't agree on {what}; this one has: {value}")

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Within, the processes compute together.

        Raises:
            WorkerLostError: another one is gone.
        """
        try:
            yield
        except _LOST as error:
            if self.workers == 1:
                raise
            raise errors.WorkerLostError("another worker is gone") from error


def _gpus() -> int:
    return len(tf.config.list_logical_devices("GPU"))


@functools.cache
def _mirrored(looped: bool) -> tf.distribute.Strategy:
    """The process's strategy of that kind: two would number their collective operations alike.

    Args:
        looped: Whether steps are taken in a loop of TensorFlow's, where the default operations
            between devices can't be placed.
    """
    operations = tf.distribute.HierarchicalCopyAllReduce() if looped else None
    return tf.distribute.MirroredStrategy(cross_device_ops=operations)


def _across_workers(cluster: cluster_lib.Cluster) -> tf.distribute.Strategy:
    resolver = _of_slurm(cluster) if cluster.slurm else None
    try:
        with interrupts.by_default():
            return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (tf.errors.UnknownError, tf.errors.InvalidArgumentError) as error:
        raise errors.UserError(
            f"--strategy=multiworker: worker {cluster.number} can't join the others, as where its "
            f"port is taken ({reading.reason(error)})"
        ) from error


def _of_slurm(cluster: cluster_lib.Cluster) -> tf.distribute.cluster_resolver.ClusterResolver:
    # TensorFlow's resolver deals the GPUs of nvidia-smi out to tasks, and fails where there are
    # none. Only the addresses are taken from it: a task has the GPUs that it sees.
    resolvers = tf.distribute.cluster_resolver
    slurm = resolvers.SlurmClusterResolver(
        gpus_per_node=cluster.workers, gpus_per_task=1, auto_set_gpu=False
    )
    return resolvers.SimpleClusterResolver(
        slurm.cluster_spec(),
        task_type="worker",
        task_id=cluster.number,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
