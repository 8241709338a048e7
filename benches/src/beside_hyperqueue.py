# Runs /bin/true so many times through HyperQueue, and prints how many a second: a list, on the last line.
#
# Its client looks once a second whether all is over, so that the last program's start is taken from
# the file that is made for its output.
import json
import os
import sys
import tempfile
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

cores, programs, samples = map(int, sys.argv[1:])
rates = []
for _ in range(samples):
    with tempfile.TemporaryDirectory() as outputs, LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=cores))
        client = cluster.client()
        job = Job(default_workdir=outputs)
        for _ in range(programs):
            job.program(["/bin/true"])
        began = time.time()
        client.wait_for_jobs([client.submit(job)])
        made = [os.stat(os.path.join(where, file)).st_mtime for where, _, files in os.walk(outputs) for file in files]
        rates.append(programs / (max(made) - began))
print()
print(json.dumps(rates))
