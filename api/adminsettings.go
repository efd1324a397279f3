package api

import (
	"fmt"
	"net/http"

	"pipesync/fsm"
)

func (s *server) handleSettings(c *call) error {
	view, err := s.viewFor(c)
	if err != nil {
		return err
	}
	defer view.Close()
	return replySettings(c, view)
}

func (s *server) handleSettingsSet(c *call) error {
	values, err := readFigures(s, c, fsm.SettingsFigures)
	if err != nil {
		return err
	}
	view, err := s.commandView(c, &fsm.SettingsSet{RequestID: mintRequestID(), Figures: values})
	if err != nil {
		return err
	}
	defer view.Close()
	return replySettings(c, view)
}

func replySettings(c *call, view *fsm.View) error {
	settings, found, err := view.Settings()
	switch {
	case err != nil:
		return fmt.Errorf("reading the settings: %w", err)
	case !found:
		return refusal(fsm.NotBootstrapped)
	}
	c.reply(http.StatusOK, newFigures(fsm.SettingsFigures, settings))
	return nil
}
