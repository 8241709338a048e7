# Runs /bin/true so many times through HyperQueue, and prints how many a second.
import json
import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

cores, programs, samples = map(int, sys.argv[1:])
rates = []
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=cores))
    client = cluster.client()
    for _ in range(samples):
        job = Job()
        for _ in range(programs):
            job.program(["/bin/true"])
        began = time.monotonic()
        client.wait_for_jobs([client.submit(job)])
        rates.append(programs / (time.monotonic() - began))
print(json.dumps(rates))
