package scaffold

// Released is released.
var Released = released
