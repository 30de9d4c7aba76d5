"""Writes tails.json: tail probabilities to 30 digits.

    pip install mpmath==1.4.1 && python tails.py > tails.json

t and F values are chosen so that the tails run from 0.5 to below 1e-300.
Arguments are the doubles that the JSON holds, not their decimal ideals.
"""
import json
import mpmath as mp

mp.mp.dps = 350  # 1 - I_y(b, a) keeps 45 digits of a tail of 1e-305

def betainc(a, b, x, y):
    """I_x(a, b), y = 1 - x: DLMF 8.17.8, a series of positive terms. (mpmath's own betainc fails for large a.)"""
    if x == 0 or y == 0:
        return mp.mpf(1 if y == 0 else 0)
    if x > 0.5:
        return 1 - betainc(b, a, y, x)
    s = t = mp.mpf(1)
    n = 0
    while t > s * mp.mpf(10) ** -348:
        t *= (a + b + n) / (a + 1 + n) * x
        s += t
        n += 1
    return s * mp.exp(a * mp.log(x) + b * mp.log(y) + mp.loggamma(a + b) - mp.loggamma(a + 1) - mp.loggamma(b))

def tail_t(t, df):
    t, df = mp.mpf(t), mp.mpf(df)
    return betainc(df / 2, mp.mpf(1) / 2, df / (df + t * t), t * t / (df + t * t)) / 2

def tail_f(f, d1, d2):
    f, d1, d2 = mp.mpf(f), mp.mpf(d1), mp.mpf(d2)
    return betainc(d2 / 2, d1 / 2, d2 / (d2 + d1 * f), d1 * f / (d2 + d1 * f))

out = {"normal": [], "t": [], "F": [], "qt": []}
for z in (0.0, 0.5, 1.959963984540054, 5.0, 10.0, 20.0, 30.0, 37.0):
    out["normal"].append([z, mp.nstr(mp.ncdf(-mp.mpf(z)), 20)])
for df in (0.3, 1.0, 2.5, 8.0, 51.2, 268.0, 1064.0, 28396.0, 1e6):
    for t in (0.0, 0.01, 0.4, 1.0, 1.7, 2.0, 3.53, 10.0, 36.0, 60.0, 150.0, 1e3, 1e6, 1e12, 1e30, 1e160, 1e300):
        p = tail_t(t, df)
        if p > mp.mpf("1e-305"):
            out["t"].append([t, df, mp.nstr(p, 20)])
for d1 in (0.7, 1.0, 2.0, 4.0, 7.0, 40.0, 300.0):
    for d2 in (0.5, 1.0, 7.5, 48.0, 208.0, 2672.0, 28396.0):
        for f in (1e-9, 0.2, 1.0, 1.7, 5.332721, 30.0, 88.8, 335.0, 1086.945384, 1508.0, 1e5, 1e9, 1e40, 1e200):
            p = tail_f(f, d1, d2)
            if p > mp.mpf("1e-305"):
                out["F"].append([f, d1, d2, mp.nstr(p, 20)])
for df in (0.3, 1.0, 8.0, 51.3, 1064.0, 1e6):
    for a in (1e-300, 1e-100, 1e-12, 1e-4, 0.025, 0.2, 0.45):
        # ln tail is concave in ln t: bisect roughly, then polish
        g = lambda s: mp.log(max(tail_t(mp.e ** s, df), mp.mpf(10) ** -320)) - mp.log(mp.mpf(a))
        lo, hi = mp.mpf(-6), mp.mpf(3000)
        for _ in range(24):
            m = (lo + hi) / 2
            lo, hi = (m, hi) if g(m) > 0 else (lo, m)
        s = mp.findroot(g, (lo, hi), solver="anderson", tol=1e-40)
        if s < 690:
            out["qt"].append([a, df, mp.nstr(-mp.e ** s, 20)])
print("{")
print(",\n".join('"%s": [\n%s\n]' % (k, ",\n".join(json.dumps(r) for r in v)) for k, v in out.items()))
print("}")
