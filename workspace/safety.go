package workspace

// A plan that empties a tree is more often a mistake (a folder that is not mounted, a
// wrong branch) than a wish.
const massFloor = 50

// massDelete reports whether removing so many of files is something a person must
// have said yes to: over massFloor and over half of them.
func massDelete(deletes, files int) bool {
	return deletes > massFloor && 2*deletes > files
}
