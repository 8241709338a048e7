# Runs /bin/true so many times through HyperQueue, and prints on the last line how many a second. What the
# programs wrote stays in the directory named, which is there.
#
# Its client looks once a second whether all is over, so that the last program's start is taken from
# the file that is made for its output.
import os
import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

outputs = sys.argv[1]
cores, programs = map(int, sys.argv[2:])
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=cores))
    client = cluster.client()
    job = Job(default_workdir=outputs)
    for _ in range(programs):
        job.program(["/bin/true"])
    began = time.time()
    client.wait_for_jobs([client.submit(job)])
    made = [os.stat(os.path.join(where, file)).st_mtime for where, _, files in os.walk(outputs) for file in files]
print()
print(programs / (max(made) - began))
