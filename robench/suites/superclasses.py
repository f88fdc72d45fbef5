"""Superclasses: sets of ImageNet's classes whose mean probability is that of one class of a suite.

Source of LAION-C's: FanfeiLi/LAION-C (MIT), ``laionc/mappings/category_mapping.json``, as indices of classes in
ImageNet's order (sorted WordNet ids). A model's probabilities of the classes of each superclass are averaged
(``laionc/evaluation.py``); the classes of none count for nothing.
"""

from __future__ import annotations

_LAION_C = """
ball: 429 430 768 805 852 890
bird: 8 10 11 12 13 14 15 16 18 19 20 22 23 24 80 81 82 83 87 88 89 90 91 92 93 94 95 96 98 99 100 127 128 129 130
  131 132 133 135 136 137 138 139 140 141 142 143 144 145
boat: 472 510 554 576 625 814 914
bottle: 440 720 737 898 899 901 907
butterfly: 321 322 323 324 325 326
car_truck: 436 511 555 569 656 675 717 734 817 864 867
cat: 281 282 283 284 285 286
chair: 423 559 703 765 831 857
dog: 152 153 154 155 156 157 158 159 160 161 162 163 164 165 166 167 168 169 170 171 172 173 174 175 176 177 178 179
  180 181 182 183 184 185 186 187 188 189 190 191 193 194 195 196 197 198 199 200 201 202 203 205 206 207 208 209
  210 211 212 213 214 215 216 217 218 219 220 221 222 223 224 225 226 228 229 230 231 232 233 234 235 236 237 238
  239 240 241 243 244 245 246 247 248 249 250 252 253 254 255 256 257 259 261 262 263 265 266 267 268
fish: 0 1 2 3 4 147 148 393 394 395 396 397
fruit: 948 949 950 951 953 954
instruments: 401 402 420 432 546 558 566 579 593 594 776 881 889
primate: 365 366 367 368 369 370 371 372 373 374 375 376 377 378 379 380 381 382
snakes: 52 53 54 55 57 58 59 60 61 62 63 64 65 66 67 68
timekeeping: 409 530 531 826 835 892
tools: 491 499 587 596 740 784 792
"""


def _read(text: str) -> dict[str, tuple[int, ...]]:
    """Return the class indices by superclass of lines ``name: index index ...``; further lines are indented."""
    joined = text.strip().replace("\n  ", " ").splitlines()
    named = (line.partition(":") for line in joined)
    return {name: tuple(int(index) for index in indices.split()) for name, _, indices in named}


SUPERCLASSES: dict[str, dict[str, tuple[int, ...]]] = {"laion-c": _read(_LAION_C)}
"""Set -> superclass -> its classes; labels count in the order of the superclasses' names."""
