package showdown

import "math"

// Scatter makes of each number another one that looks random: the finaliser of
// SplitMix64 (Steele, Lea, Flood 2014).
func Scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Portion is how many of all values of a uint64 make up a share of them; what is
// drawn by Scatter lies below it that often.
func Portion(share float64) uint64 {
	switch {
	case share >= 1:
		return math.MaxUint64
	case share > 0:
		return uint64(share * (1 << 63) * 2)
	}
	return 0
}
