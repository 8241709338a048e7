"""HiGHS on the same instances: `highs.py INSTANCE maxmin|lexicographic`, one line of JSON.

Reads the instance as it is published: a line `# capacity k80=512 …`, then a table. Rates may have been
multiplied by the caller: then they come as JSON on standard input, one list a job.
"""

import csv
import json
import sys
import time

import highspy
import numpy as np


def read(path):
    with open(path) as file:
        first = file.readline()
        capacities = {}
        for pair in first.removeprefix("# capacity ").split():
            chip, count = pair.split("=")
            capacities[chip] = float(count)
        chips = list(capacities)
        rates, scales, weights = [], [], []
        for row in csv.DictReader(file):
            raw = np.array([float(row["tput_" + chip]) for chip in chips])
            has = np.array(list(capacities.values()))
            unit = float(row["prop_tput"]) if "prop_tput" in row else raw @ has / has.sum()
            scale = float(row["scale_factor"])
            rates.append(raw * scale / unit)
            scales.append(scale)
            weights.append(float(row.get("priority", 1)))
    return np.array(list(capacities.values())), np.array(rates), np.array(scales), np.array(weights)


def program(capacities, rates, scales, weights):
    """max t: each job has at least its weight times t, its time is one, chips are what there are."""
    jobs, chips = rates.shape
    h = highspy.Highs()
    h.setOptionValue("output_flag", False)
    h.setOptionValue("threads", 1)
    inf = highspy.kHighsInf
    lp = highspy.HighsLp()
    lp.num_col_ = jobs * chips + 1
    lp.num_row_ = 2 * jobs + chips
    lp.col_cost_ = np.concatenate([np.zeros(jobs * chips), [-1.0]])
    lp.col_lower_ = np.zeros(jobs * chips + 1)
    lp.col_upper_ = np.full(jobs * chips + 1, inf)
    lp.row_lower_ = np.concatenate([np.zeros(jobs), np.full(jobs + chips, -inf)])
    lp.row_upper_ = np.concatenate([np.full(jobs, inf), np.ones(jobs), capacities])
    starts, rows, values = [0], [], []
    for job in range(jobs):
        for chip in range(chips):
            rows += [job, jobs + job, 2 * jobs + chip]
            values += [rates[job, chip], 1.0, scales[job]]
            starts.append(len(rows))
    rows += list(range(jobs))
    values += list(-weights)
    starts.append(len(rows))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.array(starts)
    lp.a_matrix_.index_ = np.array(rows)
    lp.a_matrix_.value_ = np.array(values)
    h.passModel(lp)
    return h


def maxmin(instance):
    began = time.process_time()
    h = program(*instance)
    h.run()
    took = time.process_time() - began
    return {"level": -h.getInfo().objective_function_value, "ms": took * 1e3}


def lexicographic(instance):
    """One program after the other: who has a dual stays where it is. Says the sorted throughputs."""
    capacities, rates, scales, weights = instance
    jobs, chips = rates.shape
    began = time.process_time()
    h = program(*instance)
    last = jobs * chips
    stays = np.full(jobs, np.nan)
    most = rates.max(axis=1)
    programs = 0
    while np.isnan(stays).any():
        h.run()
        programs += 1
        level = -h.getInfo().objective_function_value
        duals = np.array(h.getSolution().row_dual)[:jobs]
        rising = np.isnan(stays)
        stop = rising & ((np.abs(duals) > 1e-9) | (weights * level >= most * (1 - 1e-9)))
        if not stop.any():
            raise SystemExit("nobody stays: the program is degenerate")
        for job in np.flatnonzero(stop):
            stays[job] = weights[job] * level
            h.changeCoeff(int(job), last, 0.0)
            h.changeRowBounds(int(job), stays[job] * (1 - 1e-10), highspy.kHighsInf)
    took = time.process_time() - began
    return {"sorted": sorted(stays / weights), "ms": took * 1e3, "programs": programs}


def main():
    capacities, rates, scales, weights = read(sys.argv[1])
    if not sys.stdin.isatty():
        given = sys.stdin.read()
        if given.strip():
            rates = np.array(json.loads(given))
    solve = {"maxmin": maxmin, "lexicographic": lexicographic}[sys.argv[2]]
    print(json.dumps(solve((capacities, rates, scales, weights))))


main()
