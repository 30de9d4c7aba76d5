"""Writes crossed.json: mixed models with crossing and nested groups, solved by brute force.

    pip install numpy==2.4.6 scipy==1.17.1 mpmath==1.4.1 && python crossed.py > crossed.json

The n x n covariance is formed and factored as it stands; nothing is shared with the
package's way (profiled, eliminated, in ratios). scipy finds the optimum roughly, Newton's
method on 50-digit arithmetic, with derivatives by differences, finishes it. Satterthwaite's
degrees of freedom are 2 v^2 / (g' A g) with A = 2 H^-1, g and H by differences at 50 digits,
in the variances themselves (those that are not 0); for F with several columns as lmerTest
joins them.
"""
import itertools
import json
import sys

import mpmath as mp
import numpy as np
from scipy.optimize import minimize

mp.mp.dps = 50


def design(rows, factors, sums=False):
    """Treatment or sum-to-zero contrasts, full factorial, terms in order of degree."""
    levels = [sorted({r[f] for r in rows}) for f in factors]

    def code(f, value):
        l = levels[f]
        if sums:
            return [-1 if value == l[-1] else int(value == v) for v in l[:-1]]
        return [int(value == v) for v in l[1:]]

    terms = [t for d in range(1, len(factors) + 1) for t in itertools.combinations(range(len(factors)), d)]
    x, owner = [], []
    for r in rows:
        row, own = [1], [-1]
        for ti, t in enumerate(terms):
            cols = [1]
            for f in t:  # the last variable runs slowest
                cols = [c * d for d in code(f, r[factors[f]]) for c in cols]
            row += cols
            own += [ti] * len(cols)
        x.append(row)
        owner = own
    return np.array(x, float), [":".join(factors[f] for f in t) for t in terms], np.array(owner)


def kernels(rows, groups):
    ks = []
    for g in groups:
        l = sorted({r[g] for r in rows})
        z = np.array([[float(r[g] == v) for v in l] for r in rows])
        ks.append(z)
    return ks


def deviance_np(log_var, x, y, zs, reml):
    var = np.exp(log_var)
    v = var[-1] * np.eye(len(y)) + sum(s * z @ z.T for s, z in zip(var, zs))
    vi = np.linalg.inv(v)
    xvx = x.T @ vi @ x
    b = np.linalg.solve(xvx, x.T @ vi @ y)
    r = y - x @ b
    d = np.linalg.slogdet(v)[1] + r @ vi @ r
    return d + np.linalg.slogdet(xvx)[1] if reml else d


def pieces(var, x, y, zs):
    """ln|V|, ln|X'V^-1X|, y'Py, (X'V^-1X)^-1, beta, V^-1 (y - X beta), at 50 digits."""
    n = y.rows
    v = mp.eye(n) * var[-1]
    for s, z in zip(var, zs):
        v += s * (z * z.T)
    l = mp.cholesky(v)

    def half(m):  # L^-1 m
        out = mp.matrix(n, m.cols)
        for c in range(m.cols):
            for i in range(n):
                s = m[i, c]
                for j in range(i):
                    s -= l[i, j] * out[j, c]
                out[i, c] = s / l[i, i]
        return out

    hx, hy = half(x), half(y)
    xvx = hx.T * hx
    cov = xvx ** -1
    beta = cov * (hx.T * hy)
    hr = hy - hx * beta
    logdet = 2 * sum(mp.log(l[i, i]) for i in range(n))
    return logdet, mp.log(mp.det(xvx)), (hr.T * hr)[0], cov, beta, l, hr


def deviance_mp(var, x, y, zs, reml):
    a, b, c, *_ = pieces(var, x, y, zs)
    return a + c + (b if reml else 0)


def derivatives(f, v, h=mp.mpf(10) ** -12):
    k = len(v)
    steps = [h * t for t in v]

    def at(*moves):
        w = list(v)
        for i, s in moves:
            w[i] += s * steps[i]
        return f(w)

    f0 = f(v)
    up, down = [at((i, 1)) for i in range(k)], [at((i, -1)) for i in range(k)]
    g = mp.matrix([(up[i] - down[i]) / (2 * steps[i]) for i in range(k)])
    hess = mp.matrix(k, k)
    for i in range(k):
        hess[i, i] = (up[i] - 2 * f0 + down[i]) / steps[i] ** 2
        for j in range(i):
            m = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
            hess[i, j] = hess[j, i] = m / (4 * steps[i] * steps[j])
    return g, hess


def solve(rows, factors, groups, reml):
    x, terms, owner = design(rows, factors)
    y = np.array([r["y"] for r in rows])
    all_zs = kernels(rows, groups)
    best = None
    for start in (-3.0, 0.0, 2.0):
        s = np.array([start] * len(groups) + [0.0])
        o = minimize(deviance_np, s, (x, y, all_zs, reml), method="Nelder-Mead", options=dict(xatol=1e-9, fatol=1e-12, maxiter=20000, maxfev=20000))
        if best is None or o.fun < best.fun:
            best = o
    free = [i for i in range(len(groups)) if np.exp(best.x[i] - best.x[-1]) > 1e-6]
    zs = [mp.matrix(all_zs[i].tolist()) for i in free]
    mx, my = mp.matrix(x.tolist()), mp.matrix(y.tolist())
    var = [mp.exp(mp.mpf(best.x[i])) for i in free + [len(groups)]]
    f = lambda v: deviance_mp(v, mx, my, zs, reml)
    for _ in range(6):
        g, h = derivatives(f, var)
        step = mp.lu_solve(h, g)
        var = [v - s for v, s in zip(var, step)]
        if max(abs(s / v) for s, v in zip(step, var)) < mp.mpf(10) ** -14:
            break
    else:
        sys.exit("no convergence")
    g, h = derivatives(f, var)
    a = 2 * h ** -1
    logdet, logx, r2, cov, beta, l, hr = pieces(var, mx, my, zs)
    k = len(var)
    covs = []  # C at var +- h
    eps = mp.mpf(10) ** -12
    for i in range(k):
        w = list(var); w[i] *= 1 + eps
        u = list(var); u[i] *= 1 - eps
        covs.append((pieces(w, mx, my, zs)[3] - pieces(u, mx, my, zs)[3]) / (2 * eps * var[i]))

    def df(c):  # c: row vector
        v = (c * cov * c.T)[0]
        gr = mp.matrix([(c * d * c.T)[0] for d in covs])
        return 2 * v ** 2 / (gr.T * a * gr)[0]

    p = x.shape[1]
    unit = lambda i: mp.matrix([[mp.mpf(int(i == j)) for j in range(p)]])
    n, dof = len(y), (len(y) - p if reml else len(y))
    # V^-1 (y - X beta) = L'^-1 hr
    e = mp.matrix(n, 1)
    for i in reversed(range(n)):
        s = hr[i]
        for j in range(i + 1, n):
            s -= l[j, i] * e[j]
        e[i] = s / l[i, i]
    blup = [[mp.mpf(0)] * z.shape[1] for z in all_zs]
    for i, fi in enumerate(free):
        u = var[i] * (zs[i].T * e)
        blup[fi] = list(u)
    # type III: sum contrasts as combinations of treatment contrasts
    xs, _, _ = design(rows, factors, sums=True)
    xsm = mp.matrix(xs.tolist())
    kk = ((xsm.T * xsm) ** -1) * (xsm.T * mx)
    tests = []
    for ti, t in enumerate(terms):
        idx = [i for i in range(p) if owner[i] == ti]
        lm = mp.matrix([[kk[i, j] for j in range(p)] for i in idx])
        lcl = lm * cov * lm.T
        lb = lm * beta
        fstat = (lb.T * (lcl ** -1) * lb)[0] / len(idx)
        ev, q = mp.eigsy(lcl)
        dfs = [df(q[:, i].T * lm) for i in range(len(idx))]
        if len(dfs) == 1:
            d2 = dfs[0]
        elif max(dfs) - min(dfs) < 1e-8 * max(dfs):
            d2 = sum(dfs) / len(dfs)
        else:
            ee = sum(d / (d - 2) for d in dfs)
            d2 = 2 * ee / (ee - len(dfs))
        tests.append(dict(term=t, df1=len(idx), df2=float(d2), F=float(fstat)))
    sd = [mp.mpf(0)] * len(groups)
    for i, fi in enumerate(free):
        sd[fi] = mp.sqrt(var[i])
    dev = logdet + r2 + (logx if reml else 0) + dof * mp.log(2 * mp.pi)
    return dict(
        est=[float(b) for b in beta], se=[float(mp.sqrt(cov[i, i])) for i in range(p)], df=[float(df(unit(i))) for i in range(p)],
        sd=[float(s) for s in sd], sigma=float(mp.sqrt(var[-1])), logLik=float(-dev / 2), blup=[[float(u) for u in b] for b in blup], type3=tests)


def simulate(seed, sd, drop, nprompt=5, nword=9, fam=("Gemma", "Llama")):
    r = np.random.default_rng(seed)
    up, uw, um = r.normal(0, sd["prompt"], nprompt), r.normal(0, sd["word"], nword), r.normal(0, sd.get("model", 0), 6)
    rows = []
    for m in range(len(fam)):
        for p in range(nprompt):
            for w in range(nword):
                if r.random() < drop:
                    continue
                c = ["Agency", "Communion", "Other"][w % 3]
                y = 10 + 2 * (m == 1) - (w % 3) + 1.5 * (m == 1) * (w % 3 == 1) + up[p] + uw[w] + um[m] + r.normal(0, 1)
                rows.append(dict(family=fam[m], prompt="p%d" % p, word="w%d" % w, category=c, y=round(float(y), 3)))
    return rows


cases = {}
rows = simulate(1, dict(prompt=0.8, word=1.2), 0.25)
for reml in (True, False):
    cases["crossed " + ("REML" if reml else "ML")] = (rows, ["family", "category"], ["prompt", "word"], reml)
cases["crossed complete"] = (simulate(2, dict(prompt=0.5, word=2.0), 0.0, 4, 9), ["family", "category"], ["prompt", "word"], True)
zero = simulate(7, dict(prompt=0.0, word=1.0), 0.2)
cases["crossed, prompt at the boundary"] = (zero, ["family", "category"], ["prompt", "word"], True)
three = simulate(4, dict(prompt=0.7, word=1.0), 0.15, 4, 6, fam=("Gemma", "Llama", "Qwen"))
r = np.random.default_rng(9)
shift = {}
for row in three:
    row["cell"] = row["prompt"] + ":" + row["category"]
    row["y"] = round(row["y"] + float(shift.setdefault(row["cell"], r.normal(0, 0.9))), 3)
cases["prompt, word and prompt:category"] = (three, ["family", "category"], ["prompt", "word", "cell"], True)
cases["one mean"] = (rows, [], ["prompt", "word"], True)

out = {}
for name, (rows, factors, groups, reml) in cases.items():
    print(name, len(rows), file=sys.stderr)
    fit = solve(rows, factors, groups, reml)
    print(fit["sd"], fit["sigma"], file=sys.stderr)
    out[name] = dict(
        y=[r["y"] for r in rows], fixed={f: [r[f] for r in rows] for f in factors},
        groups={g: [r[g] for r in rows] for g in groups}, order=groups, reml=reml, **fit)
print("{")
print(",\n".join('"%s": {\n%s\n}' % (n, ",\n".join('"%s": %s' % (k, json.dumps(v, separators=(",", ":"))) for k, v in c.items())) for n, c in out.items()))
print("}")
