package consentstore

// seen asks who is numbered already and, where somebody is not, has the others numbered in a transaction. Both fill known:
// the numbers by data subject, and how many there are under "".
func seen(subjects []string, most int, read, number func(known map[string]int) error) ([]int, error) {
	known := map[string]int{}
	if err := read(known); err != nil {
		return nil, err
	}
	if nth, final := numbers(subjects, known, most); final {
		return nth, nil
	}
	clear(known) // it may be another day by now
	if err := number(known); err != nil {
		return nil, err
	}
	nth, _ := numbers(subjects, known, most)
	return nth, nil
}

// count numbers data subjects: those that are known already as they are, the others from n+1 on. More than most are not
// counted. It returns the new ones by their number, and how many there are now.
func count(subjects []string, known map[string]int, n, most int) (fresh map[string]int, total int) {
	fresh = map[string]int{}
	for _, s := range subjects {
		if known[s] == 0 && n < most {
			n++
			known[s], fresh[s] = n, n
		}
	}
	known[""] = n
	return fresh, n
}

// numbers are the answer for subjects of whom some are numbered; numbered[""] is how many are. Not final: a subject is not
// numbered, and there is a number left.
func numbers(subjects []string, numbered map[string]int, most int) (nth []int, final bool) {
	nth = make([]int, len(subjects))
	final = true
	for i, s := range subjects {
		nth[i] = numbered[s]
		final = final && (nth[i] > 0 || numbered[""] >= most)
		if nth[i] == 0 || nth[i] > most {
			nth[i] = most + 1
		}
	}
	return nth, final
}

// seenRows are the rows that a count writes: the new data subjects, and the row that counts all.
func seenRows(day, caller string, fresh map[string]int, total int) [][]any {
	rows := [][]any{{day, caller, "", total}}
	for subject, nth := range fresh {
		rows = append(rows, []any{day, caller, subject, nth})
	}
	return rows
}
