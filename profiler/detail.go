package profiler

// A Detail is what is known about a statement besides its counters.
type Detail struct {
	Text    string `json:"text,omitempty"` // whole, up to MaxText bytes
	Schema  string `json:"schema,omitempty"`
	Module  string `json:"module,omitempty"` // of whoever parsed it first: v$sql keeps it
	Action  string `json:"action,omitempty"`
	Command int    `json:"command_type,omitempty"` // Oracle's number: 3 SELECT, 47 PL/SQL block, 170 CALL
	// Plans are those of the shared pool, by their hash value; the steps in the order of their ids.
	Plans map[uint64][]PlanStep `json:"plans,omitempty"`
	// Mismatches say why its child cursors could not be shared, by v$sql_shared_cursor's names, each with how many children.
	Mismatches map[string]int `json:"mismatches,omitempty"`
	Children   int            `json:"children,omitempty"` // cursors in the shared pool
}

// MaxText bounds the text of a statement in a Detail, in bytes.
const MaxText = 64 << 10

// The commands that matter here, by Oracle's numbers (v$sqlcommand).
const (
	commandPLSQL = 47
	commandCall  = 170
)

// A PlanStep is one line of an execution plan.
type PlanStep struct {
	ID        int    `json:"id"`
	Depth     int    `json:"depth"`
	Operation string `json:"operation"` // TABLE ACCESS, INDEX, …
	Options   string `json:"options,omitempty"`
	Object    string `json:"object,omitempty"` // owner.name
	Rows      int64  `json:"rows,omitempty"`   // the optimizer's guess
	Cost      int64  `json:"cost,omitempty"`   // likewise, about one per block read alone; 0: not known
	Access    string `json:"access,omitempty"` // predicates
	Filter    string `json:"filter,omitempty"`
}
