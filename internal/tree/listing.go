package tree

// ListingOptions says what a [Listing] covers.
type ListingOptions struct {
	// Paths are the files that were listed. Their folders are covered also where
	// Ignored says otherwise.
	Paths []string
	// Ignored reports whether an unlisted path is left out; what is ignored may come
	// and go. Nil: nothing is.
	Ignored func(path string, isDir bool) bool
	// Files decide the list too, by their content: a repository's index, info/exclude
	// and config, the user's global excludes. They are absolute or relative to the
	// root, and need not be there. Every .gitignore in a covered folder is one anyway.
	Files []string
}
